// Stacks of grey pictures: which frames of a game are drawn, and into which place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "batch/config.h"
#include "batch/picture.h"
#include "nes/cartridge.h"
#include "nes/state.h"

namespace warpzone::batch {

class PixelStack {
 public:
  // `status_bar`: its lines at the top of the screen.
  PixelStack(const Config& config, int frame_skip, int status_bar)
      : picture_(config.height, config.width, config.crop_status_bar ? status_bar : 0),
        picture_bytes_(static_cast<size_t>(config.height) * static_cast<size_t>(config.width)),
        depth_(config.stack), frame_skip_(frame_skip), max_pool_(config.max_pool),
        consecutive_(config.consecutive) {}

  size_t bytes() const { return static_cast<size_t>(depth_) * picture_bytes_; }

  // The frames that lead to the first action of an episode.
  template <typename S = nes::State>
  class Beginning {
   public:
    Beginning(const PixelStack& pixels, const nes::Cartridge& cart, uint8_t* stack)
        : pixels_(pixels), cart_(cart), stack_(stack),
          skip_(pixels.consecutive_ ? 1 : pixels.frame_skip_),
          pool_(pixels.max_pool_ && skip_ > 1) {}

    void see(const S& s) {
      ++seen_;
      if (seen_ == 1 || seen_ % skip_ == 0) {
        const S* merged = pool_ && seen_ > 1 ? &before_ : nullptr;
        if (seen_ > skip_) {
          pixels_.shift(stack_);
          pixels_.picture_.draw(s, cart_, pixels_.newest(stack_), merged);
        } else {  // nothing is known of what came before
          pixels_.picture_.draw(s, cart_, stack_, merged);
          for (int k = 1; k < pixels_.depth_; ++k) {
            std::memcpy(stack_ + static_cast<size_t>(k) * pixels_.picture_bytes_, stack_,
                        pixels_.picture_bytes_);
          }
        }
      }
      if (pool_) keep(before_, s, cart_);
    }

   private:
    const PixelStack& pixels_;
    const nes::Cartridge& cart_;
    uint8_t* stack_;
    int skip_;
    bool pool_;
    int seen_ = 0;
    S before_;  // the last frame, if pictures are pooled
  };

  // The frames of one step: only those that the observation shows are drawn.
  template <typename S = nes::State>
  class Step {
   public:
    Step(const PixelStack& pixels, const nes::Cartridge& cart, uint8_t* stack)
        : pixels_(pixels), cart_(cart), stack_(stack) {
      if (!pixels.consecutive_) pixels.shift(stack);
    }

    // `over`: no more will come.
    void see(const S& s, bool cutscene, bool over) {
      shown_ = false;
      cut_ = cut_ || cutscene;
      if (cutscene) return;
      ++seen_;
      const bool merge = pixels_.max_pool_ && seen_ > 1 && !cut_;
      if (pixels_.consecutive_) {
        pixels_.picture_.draw(s, cart_,
                              stack_ + static_cast<size_t>(seen_ - 1) * pixels_.picture_bytes_);
        shown_ = true;
      } else if (seen_ == pixels_.frame_skip_ || over) {
        pixels_.picture_.draw(s, cart_, pixels_.newest(stack_), merge ? &before_ : nullptr);
        shown_ = true;
      }
      if (pixels_.max_pool_) keep(before_, s, cart_);
      cut_ = false;
    }

    void finish(const S& s) {
      if (pixels_.consecutive_ && seen_ == 0) {  // nothing of this step: where it stands
        pixels_.picture_.draw(s, cart_, stack_);
        ++seen_;
      }
      // An episode that ended early shows its last frame again.
      for (int k = seen_; pixels_.consecutive_ && k < pixels_.depth_; ++k) {
        uint8_t* to = stack_ + static_cast<size_t>(k) * pixels_.picture_bytes_;
        std::memcpy(to, to - pixels_.picture_bytes_, pixels_.picture_bytes_);
      }
      // What is acted on next is what a cutscene at the end of the step has led to.
      if (!shown_) pixels_.picture_.draw(s, cart_, pixels_.newest(stack_));
    }

   private:
    const PixelStack& pixels_;
    const nes::Cartridge& cart_;
    uint8_t* stack_;
    int seen_ = 0;
    bool shown_ = false, cut_ = false;
    S before_;  // the last frame, if pictures are pooled
  };

 private:
  // As much of it as is in use.
  template <typename S>
  static void keep(S& to, const S& from, const nes::Cartridge& cart) {
    if constexpr (nes::kFull<S>) {
      std::memcpy(static_cast<void*>(&to), &from, cart.state_bytes);
    } else {
      to = from;
    }
  }

  uint8_t* newest(uint8_t* stack) const { return stack + bytes() - picture_bytes_; }
  void shift(uint8_t* stack) const {
    std::memmove(stack, stack + picture_bytes_, bytes() - picture_bytes_);
  }

  GreyPicture<> picture_;
  size_t picture_bytes_;
  int depth_, frame_skip_;
  bool max_pool_, consecutive_;
};

}  // namespace warpzone::batch
